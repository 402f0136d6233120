"""The sections of a report, a module each: analysed numbers in, a `Section` of the document out.

Every number goes through the `Ledger` and so into stats.json. A section whose data are not there says why in one sentence.
"""
