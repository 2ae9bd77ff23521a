//! Policy says how confidential each kind of personal data is, by the scanner's names: they must be the same words.

use std::collections::BTreeSet;

use bartizan_policy::kinds_below_restricted;
use bartizan_scan::personal::Kind;

#[test]
fn policy_and_scanner_mean_the_same_kinds() {
    let known: BTreeSet<_> = Kind::names().collect();
    let below: BTreeSet<_> = kinds_below_restricted().collect();
    assert_eq!(below.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "no scanner finds these");
    let has_country = |name: &&&str| name.as_bytes().get(2) == Some(&b'-');
    let restricted: Vec<_> = known.difference(&below).filter(|name| !has_country(name)).copied().collect();
    assert_eq!(
        restricted,
        ["bank-account", "crypto-address", "driver-licence", "iban", "passport", "payment-card"],
        "a kind that is new needs a class, if it is less than restricted"
    );
}
