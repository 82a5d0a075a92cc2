"""Run by an interpreter that has netspec's core and `runtime`: a model file is proved and run.

python tests/environments/runtime.py MODEL.onnx FOLDER
"""

import importlib.util
import json
import subprocess
import sys


def netspec(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "netspec", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def main() -> None:
    model, folder = sys.argv[1:]
    for package in ("torch", "onnx"):
        assert importlib.util.find_spec(package) is None, f"{package} is installed here"
    assert ": ok, " in netspec("verify", model)
    found = [json.loads(line) for line in netspec("predict", "--json", model, folder).splitlines()]
    assert len(found) == 10
    for each in found:
        assert each["top"][0]["class"] in each["input"].rpartition("/")[2], each
    print(f"runtime: {model} is proved, and right on {len(found)} images, no torch")


if __name__ == "__main__":
    main()
