"""Runs, predicts with and verifies model files: onnxruntime, numpy and pillow, no torch.

`session` opens a file (`integrity` checks its seal, `metadata` reads its account, `devices` finds
the GPU); `samples` turns files and arrays into what the graph takes, `sizes` says what fits;
`prediction` names the outputs; `verification` runs the test vectors that the file carries.
"""

from netspec.runtime.session import Session

__all__ = ["Session"]
