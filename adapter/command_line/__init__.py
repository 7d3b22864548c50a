"""What all commands of `torchbridge` have in common, whatever they do."""
