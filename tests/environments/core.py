"""Run by an interpreter that has only netspec's core: specs are checked whole, mistakes are found.

python tests/environments/core.py SPEC...
"""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

MISTAKES = {
    "in_channels: 4": ("model: [{Conv2d: {in_channels: 4, out_channels: 8, kernel_size: 3}}]", "3"),
    "a kernel too large": ("model: [{Conv2d: {out_channels: 8, kernel_size: 64}}]", "64"),
    "no Flatten": ("model: [{Linear: {out_features: 10}}]", "Flatten"),
    "a misspelt layer": ("model: [{Conv2D: {out_channels: 8, kernel_size: 3}}]", "'Conv2d'"),
    "a misspelt parameter": (
        "model: [{Conv2d: {out_channels: 8, kernal_size: 3}}]",
        "'kernel_size'",
    ),
}


def netspec(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netspec", *arguments], capture_output=True, text=True, check=False
    )


def main() -> None:
    for package in ("torch", "numpy", "onnxruntime", "PIL"):
        assert importlib.util.find_spec(package) is None, f"{package} is installed here"
    checked = netspec("validate", *sys.argv[1:])
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": ok, ") == len(sys.argv) - 1 > 0, checked.stdout
    with tempfile.TemporaryDirectory() as folder:
        for name, (model, hint) in MISTAKES.items():
            path = Path(folder, "wrong.yaml")
            path.write_text(f"netspec: 1\ninput: [3, 32, 32]\n{model}\n")
            found = netspec("validate", str(path))
            assert found.returncode == 1, f"{name} was not refused"
            assert found.stderr.startswith(f"{path}:3:"), found.stderr
            assert "error[" in found.stderr and hint in found.stderr, found.stderr
    refused = netspec("train", sys.argv[1])
    assert refused.returncode == 3 and "netspec-compiler[train]" in refused.stderr, refused.stderr
    print(f"core: {len(sys.argv) - 1} specs pass, {len(MISTAKES)} mistakes are refused, no torch")


if __name__ == "__main__":
    main()
