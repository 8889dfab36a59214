"""Tests of mlray/launch; a package, so that one cluster serves its modules and ends with them."""
