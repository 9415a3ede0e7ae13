"""pay_ready: customer data of many tenants, resolved into people and companies, remembered, and asked about."""

__version__ = "0.1.0"
