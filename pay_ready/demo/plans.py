"""The two tenants: what they sell, how many people they employ, how much of everything happens."""

from dataclasses import dataclass
from typing import Literal

from pay_ready.demo.clock import BERLIN, PACIFIC, Zone
from pay_ready.demo.phrases import Lexicon


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that sets one tenant's exports apart from another's."""

    slug: str
    name: str
    country: str  # ISO 3166 alpha-2
    zone: Zone
    staff: int
    episodes: tuple[int, int, int]  # in the year, by the weight of the company
    team_chats: int
    hubspot_stream: Literal["typed", "legacy"]  # four engagement streams, or the one of the old API
    lexicon: Lexicon
    numbers: int  # which block of source ids it gets, so that no two tenants share one


ACME = Plan(
    slug="acme-robotics",
    name="Acme Robotics",
    country="US",
    zone=PACIFIC,
    staff=16,
    episodes=(16, 30, 53),
    team_chats=130,
    hubspot_stream="typed",
    numbers=3,
    lexicon=Lexicon(
        products=("PickPilot", "FleetDesk", "the CR-7 arm", "DockRunner", "PickPilot 4"),
        parts=(
            "the gripper firmware", "the fleet dashboard", "the zone map editor", "the charging schedule", "the e-stop log",
            "the warehouse connector", "the shift report", "the battery monitor", "the label scanner", "the pick list import",
            "the maintenance calendar", "the conveyor interface",
        ),
        sites=(
            "the Dayton warehouse", "the north hall", "the Reno site", "dock four", "the returns area", "the cold store", "the mezzanine",
            "the Elm Street depot", "the packing line", "the second shift",
        ),
        metrics=("picks per hour", "uptime", "the mis-pick rate", "cycle time", "dock-to-stock time", "orders per shift"),
        rivals=("Gripomatik", "Liftora", "Robovane"),
        currency="$",
    ),
)  # fmt: skip

NORTHWIND = Plan(
    slug="northwind-health",
    name="Northwind Health",
    country="DE",
    zone=BERLIN,
    staff=9,
    episodes=(16, 30, 53),
    team_chats=65,
    hubspot_stream="legacy",
    numbers=7,
    lexicon=Lexicon(
        products=("CareBoard", "RotaFlow", "SlotSense", "the patient portal"),
        parts=(
            "the referral inbox", "the appointment reminder", "the HL7 bridge", "the consent form editor", "the waiting list export",
            "the rota planner", "the billing code lookup", "the lab result feed", "the recall list", "the check-in kiosk",
        ),
        sites=(
            "the Altona clinic", "the Leipzig practice", "the day ward", "the front desk", "the radiology floor", "the Harburg branch",
            "the evening surgery", "the outpatient department",
        ),
        metrics=("the no-show rate", "the time to first appointment", "the call volume", "room usage", "the waiting time"),
        rivals=("Mediskeda", "Praxolo", "Kliniqo"),
        currency="€",
    ),
)  # fmt: skip

PLANS = (ACME, NORTHWIND)
