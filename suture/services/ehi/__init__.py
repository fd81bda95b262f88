"""Everything stored about one person, out and in again (45 CFR 170.315(b)(10), electronic health information export)."""
