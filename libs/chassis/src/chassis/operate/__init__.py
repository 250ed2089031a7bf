"""`python -m <service>.operate VERB --option=value`: what all operators' verbs share."""
