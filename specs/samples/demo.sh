# The main job from a spec to predictions, on the data in the package. `make demo` runs it.
set -euo pipefail

step() {
    printf '\n== %s\n$ %s\n' "$1" "${*:2}"
    "${@:2}"
}

started=$SECONDS
step "Check every shipped spec, without torch" netspec validate specs/*.yaml
step "Compile the default spec, specs/digits.yaml" netspec build
step "Train it" netspec train
step "Export the run as one ONNX file" netspec export --onnx
step "Prove the file again, without torch" netspec verify exported/digits.onnx
step "Predict digits that were not in training, without torch" \
    netspec predict exported/digits.onnx specs/samples/digits

cat <<EOF

Done in $((SECONDS - started)) s. The spec is specs/digits.yaml, the run lies in runs/digits/ (its weights,
metrics and TensorBoard events), the model is exported/digits.onnx.
EOF
