"""The operators' verbs; one module a group, imported only when one of its verbs is asked for."""
