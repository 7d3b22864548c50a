"""The parts that all commands of `torchbridge` share."""
