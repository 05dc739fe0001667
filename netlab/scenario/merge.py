"""Several files into one, by Compose's rules.

Source: the Compose specification ("Merge") and compose-go's ``override`` package. Mappings are merged key
by key, lists are appended, scalars are replaced; what can be written as a list or as a mapping is brought
to one form first. ``!reset`` takes an entry away, ``!override`` puts one in the other's place.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.scenario.tree import Mark, Report, Value

#: below services.NAME: the later one wins whole
_REPLACED = frozenset({"command", "entrypoint"})
#: below services.NAME: a list of names means a mapping without values
_MAPPINGS = frozenset({"networks", "depends_on", "models"})
#: below services.NAME: a mapping means a list of KEY=VALUE, a scalar means a list of one
_SEQUENCES = frozenset(
    {
        "annotations",
        "dns",
        "dns_opt",
        "dns_search",
        "env_file",
        "environment",
        "extra_hosts",
        "label_file",
        "labels",
        "sysctls",
        "tmpfs",
    }
)


def merge(base: Value, over: Value, report: Report, path: Sequence[str] = ()) -> Value:
    """``base`` with ``over`` on it; what cannot be merged is reported, and the base kept."""
    return _merge(base, over, tuple(path), report)


def _merge(base: Value, over: Value, path: tuple[str, ...], report: Report) -> Value:
    if over.tag == "override":
        return over
    below = path[2] if len(path) == 3 and path[0] == "services" else None
    if below in _REPLACED:
        return over
    if below in _MAPPINGS:
        base, over = _mapping(base), _mapping(over)
    elif below in _SEQUENCES:
        base, over = _sequence(base), _sequence(over)
    elif path[:1] == ("x-netlab",) and base.kind != over.kind:
        return over
    if isinstance(base.data, list | dict):
        if over.data is None:
            return base
        if type(base.data) is not type(over.data):
            where = ".".join(path) or "the file"
            report.add(over.at, f"{where} is {base.kind} in {base.at[0]}, and {over.kind} cannot replace it")
            return base
    if isinstance(base.data, dict):
        return _merge_mappings(base, over, path, report)
    if isinstance(base.data, list):
        if len(path) == 4 and path[0] == "networks" and path[2:] == ("ipam", "config"):
            return _merge_pools(base, over, path, report)
        return base.with_data([*base.data, *(item for item in over if item.tag != "reset")])
    return over


def _merge_mappings(base: Value, over: Value, path: tuple[str, ...], report: Report) -> Value:
    data = dict(base.map)
    keys: dict[str, Mark] = dict(base.keys)
    for key, entry in over.pairs():
        before = data.get(key)
        if entry.tag == "reset":
            data.pop(key, None)
            keys.pop(key, None)
            continue
        if before is None or (key.startswith("x-") and not (path == () and key == "x-netlab")):
            data[key] = entry
            keys[key] = over.key_at(key)
        else:
            data[key] = _merge(before, entry, (*path, key), report)
    return base.with_data(data, keys)


def _merge_pools(base: Value, over: Value, path: tuple[str, ...], report: Report) -> Value:
    """Pools of the same subnet are one."""
    pools = list(base.list)
    places = {subnet: n for n, pool in enumerate(pools) if (subnet := _subnet(pool)) is not None}
    for pool in over:
        place = places.get(_subnet(pool) or "")
        if place is None:
            pools.append(pool)
        else:
            pools[place] = _merge(pools[place], pool, (*path, "0"), report)
    return base.with_data(pools)


def _subnet(pool: Value) -> str | None:
    subnet = pool.get("subnet")
    return subnet.data if subnet is not None and isinstance(subnet.data, str) else None


def _mapping(value: Value) -> Value:
    if not isinstance(value.data, list):
        return value
    names = [item for item in value if isinstance(item.data, str)]
    if len(names) != len(value.list):
        return value
    data = {item.text: Value(None, item.at) for item in names}
    return value.with_data(data, {item.text: item.at for item in names})


def _sequence(value: Value) -> Value:
    if value.data is None or isinstance(value.data, list):
        return value
    if not isinstance(value.data, dict):
        return Value([value], value.at, tag=value.tag)
    items = []
    for key, entry in value.pairs():
        for one in entry if isinstance(entry.data, list) else (entry,):
            if isinstance(one.data, list | dict):
                return value
            text = key if one.data is None else f"{key}={one.text}"
            items.append(Value(text, one.at, raw=text))
    return Value(items, value.at, tag=value.tag)


def without_resets(value: Value) -> Value:
    """The tree without the ``!reset`` entries that have nothing to reset."""
    data = value.data
    if isinstance(data, dict):
        kept = {key: without_resets(entry) for key, entry in data.items() if entry.tag != "reset"}
        same = len(kept) == len(data) and all(kept[key] is data[key] for key in kept)
        return value if same else value.with_data(kept)
    if isinstance(data, list):
        items = [without_resets(item) for item in data if item.tag != "reset"]
        same = len(items) == len(data) and all(new is old for new, old in zip(items, data, strict=True))
        return value if same else value.with_data(items)
    return value
