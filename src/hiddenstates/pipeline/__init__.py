"""From one stage to the next: what each reads, whether the data gives it anything to do, which kernel runs it."""
