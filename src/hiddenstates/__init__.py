"""Which hidden states of an encoder, combined and pooled how, make the embedding to index?"""
