"""Every strategy scored from the same pooled states: which there are, and what each finds."""
