"""What goes over the wire: forms read by the SDK's types, objects in its shapes, lists, expansions, refusals."""
