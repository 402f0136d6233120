"""How it is made fast: `chunks` (as many lanes together as fit the cache), `computations` (what is compiled together), `compiling` (how),
`drawing` (frames by compiled code), and `platform` (what of a machine can change bits)."""
