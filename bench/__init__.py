"""The benchmark: our whole path beside its peers, on the same upstream, in the same run."""
