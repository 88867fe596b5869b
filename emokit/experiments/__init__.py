"""Experiments on behaviour: scripted conversations under steering, impossible tasks, frustration, tone, caution."""
