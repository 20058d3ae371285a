"""Thin faces over trainers and run directories."""
