"""The events: past facts about one account, as they are stored, published and consumed.

Structs whose bounds are checked wherever one is read (`contracts.envelope.event_decoder`); the ledger's domain decides
and folds the very same types. The name of an event (`ledger.usage_settled`) stands in its CloudEvents type
(`solaris.ledger.usage_settled.v1`) and its subject (`solaris.ledger.usage_settled.<account>`).
"""
