"""HTTP in front of the rooms: `/admin/profiles/*` inside the proxy's own application.

This room holds no decisions: it authenticates, parses, calls one method and presents the answer.
"""
