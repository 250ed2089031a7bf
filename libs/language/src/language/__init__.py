"""How people are spoken to: in which language, with which forms of figures and dates, and in whose name."""
