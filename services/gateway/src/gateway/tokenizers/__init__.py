"""How many tokens a text has, by the tokenizers of the models."""
