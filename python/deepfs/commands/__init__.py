"""What ``deepfs train``, ``evaluate`` and ``predict`` do; `deepfs.cli` parses their options."""
