"""HTTP in front of the rooms: `/admin/*` and the task API inside the proxy's own application.

This room holds no decisions: it authenticates, parses, calls one method and presents the answer. Each folder is one
resource, with its routes and the bodies they take and give; `http` is what all of them share.
"""
