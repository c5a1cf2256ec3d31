"""The MobileNetV1 classifier: ImageNet and CIFAR-10 data, training, evaluation."""
