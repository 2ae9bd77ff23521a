//! The kinds of personal data, and how confidential a text is that has them.

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

/// How confidential something is; the order is that of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Classification {
    /// Nothing was found.
    Public,
    /// What is in many business letters: names of organisations and places, dates, web addresses.
    Internal,
    /// What names or reaches a person.
    Confidential,
    /// What can be used to take a person's money or identity.
    Restricted,
}

impl Classification {
    /// The word that policies use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }
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

    /// How confidential one find of this kind makes a text.
    pub const fn classification(self) -> Classification {
        match self {
            Self::PaymentCard
            | Self::Iban
            | Self::BankAccount
            | Self::National(_)
            | Self::Passport
            | Self::DriverLicence
            | Self::CryptoAddress => Classification::Restricted,
            Self::Email
            | Self::Phone
            | Self::IpAddress
            | Self::MacAddress
            | Self::Coordinates
            | Self::DateOfBirth
            | Self::StreetAddress
            | Self::Age
            | Self::Group
            | Self::Person => Classification::Confidential,
            Self::Postcode | Self::Url | Self::Date | Self::Title | Self::Place | Self::Organization => {
                Classification::Internal
            }
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
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
        OTHERS
            .into_iter()
            .find(|kind| kind.name() == name)
            .or_else(|| super::national::NAMES.iter().find(|known| **known == name).map(|name| Self::National(name)))
    }
}

/// How confidential a text is in which these kinds were found.
///
/// The strictest of them decides, and a person together with where or when is as strict as an identity number: name,
/// birthday and postcode are enough to find most people.
pub fn classification(kinds: impl IntoIterator<Item = Kind>) -> Classification {
    let mut strictest = Classification::Public;
    let (mut is_named, mut is_placed) = (false, false);
    for kind in kinds {
        strictest = strictest.max(kind.classification());
        is_named |= kind == Kind::Person;
        is_placed |= matches!(kind, Kind::DateOfBirth | Kind::StreetAddress | Kind::Coordinates);
    }
    if is_named && is_placed { Classification::Restricted } else { strictest }
}
