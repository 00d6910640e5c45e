"""What is rented, and at which prices: ``conf/prices.yaml``, ``conf/hardware.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from acav_spark.errors import ConfigError
from acav_spark.planning.reading import Strict, read_values

_CONF = Path(__file__).parents[1] / "conf"
OWN_PRICES = _CONF / "prices.yaml"
OWN_HARDWARE = _CONF / "hardware.yaml"


class Node(Strict):
    """One kind of machine.

    Parameters
    ----------
    cores, gpus : int
        Cores (not hardware threads) and accelerators of one machine.
    core_speed : float
        Speed of a core, that of the rates being 1.
    memory_gb : float
        Memory in 10^9 bytes; 0 where it is not known.
    gpu_tflops : float
        Peak of one accelerator at 16 bits, dense, in 10^12 operations a second.
    network_mb_s : float
        What one machine reads from storage, in 10^6 bytes a second.
    usd_per_hour, usd_per_hour_spot : float
        Price of one machine; the latter as spare capacity that may be taken away.
    """

    cores: int = Field(ge=1)
    core_speed: float = Field(default=1.0, gt=0)
    memory_gb: float = Field(default=0.0, ge=0)
    gpus: int = Field(default=0, ge=0)
    gpu_tflops: float = Field(default=0.0, ge=0)
    network_mb_s: float = Field(gt=0)
    usd_per_hour: float = Field(ge=0)
    usd_per_hour_spot: float | None = Field(default=None, ge=0)


class Prices(Strict):
    """Prices of machines, storage, requests and traffic, in US dollars.

    Parameters
    ----------
    date, source : str
        When and where they were looked up.
    nodes : mapping of str to Node
        Kinds of machines by name.
    platform_share : float
        What the platform (EMR, Databricks) takes beside, as a share of the price of
        machines on demand.
    usd_per_tb_month : float
        Storage of 10^12 bytes for a month.
    usd_per_million_reads, usd_per_million_writes : float
        Requests to storage.
    usd_per_tb_out : float
        Traffic out of the storage's region.
    """

    date: str
    source: str
    nodes: dict[str, Node]
    platform_share: float = Field(default=0.0, ge=0)
    usd_per_tb_month: float = Field(ge=0)
    usd_per_million_reads: float = Field(ge=0)
    usd_per_million_writes: float = Field(ge=0)
    usd_per_tb_out: float = Field(ge=0)


class PoolFile(Strict):
    """So many machines of one kind, as written in the file."""

    node: str
    nodes: int = Field(ge=1)
    spot: bool = False


class HardwareFile(Strict):
    """The machines that the stages run on.

    Parameters
    ----------
    pools : mapping of str to PoolFile
        ``cpu`` is needed; ``gpu`` runs extract_features where an extractor wants an
        accelerator; ``driver`` runs select_clips. Where one is not there, ``cpu`` is.
    storage_months : float
        How long videos and tables are kept.
    store_videos : bool
        Whether the videos lie in storage that is paid for.
    share_out : float
        Share of the bytes read that leaves the storage's region.
    """

    pools: dict[str, PoolFile]
    storage_months: float = Field(default=1.0, ge=0)
    store_videos: bool = True
    share_out: float = Field(default=0.0, ge=0, le=1)


@dataclass(frozen=True)
class Pool:
    """So many machines of one kind.

    Parameters
    ----------
    name : str
        ``cpu``, ``gpu`` or ``driver``.
    node_name : str
        Kind of machine.
    node : Node
        What one of them has.
    n_nodes : int
        Machines.
    usd_per_hour : float
        Price of all of them together, with the platform's share.
    contention : float, default 1
        Seconds that a second of processor time takes, beside other work.
    """

    name: str
    node_name: str
    node: Node
    n_nodes: int
    usd_per_hour: float
    contention: float = 1.0

    @property
    def cores(self) -> int:
        """Cores of all machines."""
        return self.n_nodes * self.node.cores

    @property
    def gpus(self) -> int:
        """Accelerators of all machines."""
        return self.n_nodes * self.node.gpus

    @property
    def bytes_per_s(self) -> float:
        """What all machines together read from storage."""
        return self.n_nodes * self.node.network_mb_s * 1e6


@dataclass(frozen=True)
class Hardware:
    """All pools, and what is stored."""

    pools: dict[str, Pool]
    storage_months: float
    store_videos: bool
    share_out: float

    def pool(self, name: str) -> Pool:
        """Return a pool; ``cpu`` where there is none of that name."""
        return self.pools.get(name, self.pools["cpu"])


def read_prices(path: Path | None = None) -> Prices:
    """Return the prices of a file; the package's examples where none is named.

    Raises
    ------
    ConfigError
        If it cannot be read or holds other keys or values than it may.
    """
    return read_values(path or OWN_PRICES, Prices)


def read_hardware(path: Path | None, prices: Prices) -> Hardware:
    """Return the hardware of a file with the prices of its machines.

    Raises
    ------
    ConfigError
        If it cannot be read, names a kind of machine without a price, lacks the pool
        ``cpu``, or has one that no stage uses.
    """
    source = path or OWN_HARDWARE
    written = read_values(source, HardwareFile)
    known = ("cpu", "gpu", "driver")
    unknown = [name for name in written.pools if name not in known]
    if unknown or "cpu" not in written.pools:
        msg = (
            f"{source}: pools: expected cpu, and gpu and driver where wanted, got "
            f"{', '.join(written.pools) or 'none'}. Rename or add a pool."
        )
        raise ConfigError(msg)
    return Hardware(
        {
            name: _pool(name, pool, prices, str(source))
            for name, pool in written.pools.items()
        },
        written.storage_months,
        written.store_videos,
        written.share_out,
    )


def local_hardware(cores: int, contention: float) -> Hardware:
    """Return one machine of which nothing is paid for: that of the rates."""
    node = Node(cores=cores, network_mb_s=1e6, usd_per_hour=0.0)
    pool = Pool("cpu", "this machine", node, 1, 0.0, contention)
    return Hardware({"cpu": pool}, 0.0, store_videos=False, share_out=0.0)


def _pool(name: str, pool: PoolFile, prices: Prices, source: str) -> Pool:
    node = prices.nodes.get(pool.node)
    if node is None:
        msg = (
            f"{source}: pools.{name}.node: expected one of the prices' "
            f"{', '.join(sorted(prices.nodes))}, got {pool.node!r}. Add it to the "
            "prices, or choose another."
        )
        raise ConfigError(msg)
    price = node.usd_per_hour
    if pool.spot:
        if node.usd_per_hour_spot is None:
            msg = (
                f"{source}: pools.{name}.spot: expected a node with usd_per_hour_spot, "
                f"got {pool.node!r} without. Add that price, or write spot: false."
            )
            raise ConfigError(msg)
        price = node.usd_per_hour_spot
    whole = price + prices.platform_share * node.usd_per_hour
    return Pool(name, pool.node, node, pool.nodes, pool.nodes * whole)
