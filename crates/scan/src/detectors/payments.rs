//! Payments, shops and banks.

use super::judge::{hex_token, random_token, token};
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret("square-token", &[Hint::Opens(&["EAAA"])], Look::From(r"\bEAAA[A-Za-z0-9_-]{60}\b", random_token)),
    secret(
        "square-token",
        &[Hint::Opens(&["sq0atp-", "sq0csp-", "sq0idp-", "sq0acp-"])],
        Look::From(r"\bsq0(?:atp-[A-Za-z0-9_-]{22}|[cia][sdc]p-[A-Za-z0-9_-]{22,43})", token),
    ),
    secret(
        "braintree-token",
        &[Hint::Exact(&["access_token$"])],
        Look::From(r"\baccess_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}", token),
    ),
    secret(
        "shopify-token",
        &[Hint::Opens(&[
            "shpat_", "shpca_", "shppa_", "shpss_", "shptka_", "shpua_", "shprt_", "shpit_", "shpcka_", "shpsb_",
        ])],
        Look::From(r"\bshp(?:at|ca|pa|ss|tka|ua|rt|it|cka|sb)_[a-fA-F0-9]{32,64}", token),
    ),
    secret(
        "flutterwave-key",
        &[Hint::AnyCase(&["FLWSECK", "FLWPUBK_TEST"])],
        Look::From(r"(?i)\bFLW(?:SECK(?:_TEST)?|PUBK_TEST)-[a-z0-9]{12,40}(?:-X)?\b", token),
    ),
    secret("razorpay-key", &[Hint::Opens(&["rzp_"])], Look::From(r"\brzp_(?:live|test)_[A-Za-z0-9]{14}\b", token)),
    secret(
        "plaid-token",
        &[Hint::Exact(&["access-production-", "access-sandbox-", "access-development-"])],
        Look::From(
            r"\baccess-(?:production|sandbox|development)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
            token,
        ),
    ),
    secret("shippo-token", &[Hint::Opens(&["shippo_"])], Look::From(r"\bshippo_(?:live|test)_[a-fA-F0-9]{40}", token)),
    secret("easypost-key", &[Hint::Opens(&["EZAK", "EZTK"])], Look::From(r"\bEZ[AT]K[A-Za-z0-9]{54}\b", random_token)),
    secret(
        "duffel-token",
        &[Hint::Exact(&["duffel_"])],
        Look::From(r"\bduffel_(?:live|test)_[A-Za-z0-9_=-]{43}", token),
    ),
    secret(
        "lob-key",
        &[Hint::Opens(&["live_", "test_"])],
        Look::From(r"\b(?:live|test)_(?:pub_)?[a-f0-9]{31,35}\b", hex_token),
    ),
    secret(
        "mollie-key",
        &[Hint::Opens(&["live_", "test_"])],
        Look::From(r"\b(?:live|test)_[A-Za-z0-9]{30,40}\b", random_token),
    ),
    secret(
        "gocardless-token",
        &[Hint::Exact(&["live_", "sandbox_"])],
        Look::From(r"\b(?:live|sandbox)_[A-Za-z0-9_=-]{40}\b", random_token),
    ),
    secret(
        "adyen-key",
        &[Hint::Exact(&["AQE"])],
        Look::From(
            r"\bAQE[a-z][A-Za-z0-9]{3,40}\+?[A-Za-z0-9+/=]{60,140}-[A-Za-z0-9+/=]{30,60}-[^\s\x22']{10,20}",
            random_token,
        ),
    ),
    secret(
        "paystack-key",
        &[Hint::Opens(&["sk_live_", "sk_test_"])],
        Look::From(r"\bsk_(?:live|test)_[a-f0-9]{40}\b", token),
    ),
    secret("midtrans-key", &[Hint::Exact(&["Mid-server-"])], Look::From(r"\bMid-server-[A-Za-z0-9_-]{24}", token)),
    secret(
        "xendit-key",
        &[Hint::Opens(&["xnd_"])],
        Look::From(r"\bxnd_(?:development|production)_[A-Za-z0-9]{30,80}", token),
    ),
    secret(
        "paddle-key",
        &[Hint::Exact(&["pdl_live_apikey_", "pdl_sdbx_apikey_"])],
        Look::From(r"\bpdl_(?:live|sdbx)_apikey_[a-z0-9]{26}_[A-Za-z0-9]{22}_[A-Za-z0-9]{3}\b", token),
    ),
    secret(
        "polar-token",
        &[Hint::Opens(&["polar_"])],
        Look::From(r"\bpolar_(?:oat|pat|at_[uo]|rt_[uo]|whs)_[A-Za-z0-9]{32,}", token),
    ),
    secret(
        "asaas-token",
        &[Hint::Exact(&["$aact_"])],
        Look::From(r"\$aact_(?:prod|hmlg)?_?[A-Za-z0-9_:=-]{20,160}", token),
    ),
    secret(
        "mercury-token",
        &[Hint::Exact(&["mercury_production_"])],
        Look::From(r"\bmercury_production_[a-z]{3,6}_[A-Za-z0-9]{40,50}_yrucrem", token),
    ),
    secret("ramp-secret", &[Hint::Exact(&["ramp_sec_"])], Look::From(r"\bramp_sec_[A-Za-z0-9]{48}\b", token)),
    secret("woocommerce-secret", &[Hint::Opens(&["cs_"])], Look::From(r"\bcs_[a-f0-9]{40}\b", hex_token)),
];
