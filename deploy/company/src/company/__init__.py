"""Invents a company: people, what they ask of models and what they buy, made by the services' own rules."""
