"""The forward pass: which hidden states it has, which module makes each, and where it may end."""
