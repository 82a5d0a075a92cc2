"""One ONNX file around the trained network, proved against torch. Knows both engines."""
