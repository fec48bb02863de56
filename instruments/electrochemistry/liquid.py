"""Liquid products: concentrations and Faradaic efficiencies.

Functions take floats, arrays or :class:`~instruments.electrochemistry.uncertain.Uncertain` alike.
"""

from __future__ import annotations

from instruments.electrochemistry.constants import FARADAY
from instruments.electrochemistry.uncertain import Value


def batch_efficiency(electrons: Value, amount: Value, charge: Value) -> Value:
    """``n F N / |Q|`` for products that gathered while a charge passed.

    Args:
        electrons: for one molecule.
        amount: summed over catholyte, anolyte and trap: ``sum c V``, mol.
        charge: passed until the sample was taken, C.
    """
    return electrons * FARADAY * amount / abs(charge)


def flow_efficiency(electrons: Value, concentration: Value, flow: Value, current: Value) -> Value:
    """``n F c V / |I|`` for products that a stream carries away.

    Args:
        electrons: for one molecule.
        concentration: in the stream, mol m-3.
        flow: of the stream, m3 s-1.
        current: A.
    """
    return electrons * FARADAY * concentration * flow / abs(current)


def nmr_concentration(
    signal: Value,
    nuclei: Value,
    standard_signal: Value,
    standard_nuclei: Value,
    standard_concentration: Value,
    tube_volume: Value,
    sample_volume: Value,
) -> Value:
    """Concentration in the sample by quantitative NMR.

    Args:
        signal: integral of the product.
        nuclei: that it counts in one molecule.
        standard_signal: integral of the internal standard.
        standard_nuclei: that it counts in one molecule (6 for the protons of dimethyl sulfoxide).
        standard_concentration: in the tube.
        tube_volume: of the mixture in the tube.
        sample_volume: of the sample in that mixture, in the same unit.
    """
    per_nucleus = (signal / nuclei) / (standard_signal / standard_nuclei)
    return per_nucleus * standard_concentration * tube_volume / sample_volume


def mixed_concentration(concentration: Value, volume: Value, total_volume: Value) -> Value:
    """Concentration of a stock after a volume of it became part of a total volume."""
    return concentration * volume / total_volume


def from_response(signal: Value, intercept: Value, slope: Value) -> Value:
    """``(A - b) / a`` for a response ``A = b + a c``; covariance of the coefficients comes with them."""
    return (signal - intercept) / slope
