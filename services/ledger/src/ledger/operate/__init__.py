"""The operator's verbs: read, administer, verify, replay, publish again, seed; one module a group."""
