"""Small CLIP, VL-T5 and VL-BART, trained from scratch on the countries: before, after, and what was learned."""
