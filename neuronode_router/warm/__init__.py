"""Warm switches: the weights of local models are in memory before somebody asks for them.

`needs` says what profiles want of which server, `plan` what to load and to let go in which order, `wire` does it, and
`warming` puts them together around a change of the control state.
"""
