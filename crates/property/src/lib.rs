//! Properties: what a merchant configured, as files that the services read again each second.
