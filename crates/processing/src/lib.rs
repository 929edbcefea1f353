//! From raw hits to rollup rows: a function of the hits in WAL order and of versioned rules.
