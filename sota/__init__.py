"""Scripted reproductions: one script per row of the table in RESULTS.md.

``python -m sota.ppo_cartpole`` makes the runs of a row that are still missing, and
``python -m sota.report`` writes the table from what they gave.
"""
