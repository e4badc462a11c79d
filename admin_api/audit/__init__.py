"""Every committed revision: as pages, as an export, and as a stream."""
