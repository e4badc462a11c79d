"""How every deployment stands: read from the host's list, asked of the Ollamas, judged by the statistics.

This room decides about no request.
"""
