"""Criteria that strategies maximise, beside the expected improvement of :mod:`acquisition.functions`."""
