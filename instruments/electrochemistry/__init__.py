"""Electrochemical data reduction: raw signals become figures of merit by the field's rules."""
