"""Each point's nearest other one, as `pool: munge_patch` needs it."""

from kdcli.core.arrays import Indices, Reals


def neighbours(points: Reals) -> Indices:
    """(N,) for each of (N, D) points the nearest other one (Euclidean; any of equals).

    Every distance is looked at: in the hundreds of dimensions of an embedding trees are no faster.
    Time grows with N^2, memory does not. scikit-learn leaves a point itself out where, as here, no
    others are asked about, also among equals.

    Raises:
        ValueError: fewer than two points.
    """
    from sklearn.neighbors import NearestNeighbors  # a second to import

    if len(points) < 2:
        raise ValueError(f"{len(points)} example(s): a neighbour takes two")
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points)
    found: Indices = search.kneighbors(return_distance=False)[:, 0]
    return found
