"""Groups of nodes that lead to each other."""

from collections.abc import Iterable, Mapping


def components(children: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the strongly connected components of a graph, each after those that it leads to.

    This is Tarjan's algorithm (1972), with a list in place of recursion. A key is a node, its value the nodes that it
    leads to.
    """
    found, number, lowest, unfinished = [], {}, {}, []  # lowest: of unfinished nodes, the earliest that they lead to
    for root in children:
        path = [] if root in number else [(root, iter(children[root]))]
        if path:
            number[root] = lowest[root] = len(number)
            unfinished.append(root)
        while path:
            node, rest = path[-1]
            for child in rest:
                if child not in number:
                    number[child] = lowest[child] = len(number)
                    unfinished.append(child)
                    path.append((child, iter(children[child])))
                    break
                if child in lowest:
                    lowest[node] = min(lowest[node], number[child])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    group = [unfinished.pop()]
                    while group[-1] != node:
                        group.append(unfinished.pop())
                    for done in group:
                        del lowest[done]
                    found.append(group)
    return found
