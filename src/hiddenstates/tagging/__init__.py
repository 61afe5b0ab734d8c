"""The token task: which hidden states, combined and pooled how, let a linear probe tag the named entities best?"""
