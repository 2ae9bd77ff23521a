//! The kinds of personal data. How confidential each makes a text is said by policy, by these names.

/// What was found; [`Kind::name`] is the word that policies, sightings and markers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A payment card's number.
    PaymentCard,
    /// An international bank account number.
    Iban,
    /// An account number by its context.
    BankAccount,
    /// A number a state gave a person; the country's two letters and the name of the number.
    National(&'static str),
    /// A passport's number by its context.
    Passport,
    /// A driver licence's number by its context.
    DriverLicence,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// An address of a machine on the internet.
    IpAddress,
    /// An address of a network card.
    MacAddress,
    /// An address of a wallet.
    CryptoAddress,
    /// A latitude and a longitude, or one of them with its name.
    Coordinates,
    /// A date that is said to be somebody's birthday.
    DateOfBirth,
    /// A postal code by its context.
    Postcode,
    /// A street with a number, and what belongs to it.
    StreetAddress,
    /// A web address.
    Url,
    /// Any date or time.
    Date,
    /// How old somebody is.
    Age,
    /// A title or a job.
    Title,
    /// A nationality, religion or political group.
    Group,
    /// A person's name.
    Person,
    /// A town, region or country.
    Place,
    /// An organisation's name.
    Organization,
}

impl Kind {
    /// Lower case and hyphens, such as `payment-card` or `us-ssn`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentCard => "payment-card",
            Self::Iban => "iban",
            Self::BankAccount => "bank-account",
            Self::National(name) => name,
            Self::Passport => "passport",
            Self::DriverLicence => "driver-licence",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::IpAddress => "ip-address",
            Self::MacAddress => "mac-address",
            Self::CryptoAddress => "crypto-address",
            Self::Coordinates => "coordinates",
            Self::DateOfBirth => "date-of-birth",
            Self::Postcode => "postcode",
            Self::StreetAddress => "street-address",
            Self::Url => "url",
            Self::Date => "date",
            Self::Age => "age",
            Self::Title => "title",
            Self::Group => "group",
            Self::Person => "person",
            Self::Place => "place",
            Self::Organization => "organization",
        }
    }

    /// The names of all kinds.
    pub fn names() -> impl Iterator<Item = &'static str> {
        const OTHERS: [Kind; 22] = [
            Kind::PaymentCard,
            Kind::Iban,
            Kind::BankAccount,
            Kind::Passport,
            Kind::DriverLicence,
            Kind::Email,
            Kind::Phone,
            Kind::IpAddress,
            Kind::MacAddress,
            Kind::CryptoAddress,
            Kind::Coordinates,
            Kind::DateOfBirth,
            Kind::Postcode,
            Kind::StreetAddress,
            Kind::Url,
            Kind::Date,
            Kind::Age,
            Kind::Title,
            Kind::Group,
            Kind::Person,
            Kind::Place,
            Kind::Organization,
        ];
        OTHERS.into_iter().map(Self::name).chain(super::national::NAMES.iter().copied())
    }
}
