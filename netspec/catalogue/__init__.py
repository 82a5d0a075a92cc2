"""What a spec may name: classes of torch and torchvision as data, without importing them."""
