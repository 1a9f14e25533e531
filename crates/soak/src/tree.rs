//! JSON as it is written: members in their order, repeated ones included, and
//! every number and string with its own spelling.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A number, string, boolean or `null`; or any text in the place of one.
    Token(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// A node that can be changed.
pub enum Place<'t> {
    Object(&'t mut Vec<(String, Tree)>),
    List(&'t mut Vec<Tree>),
    Node(&'t mut Tree),
}

impl Place<'_> {
    /// Puts another value there; a list or an object is emptied instead.
    pub fn replace(self, value: Tree) {
        match self {
            Place::Node(node) => *node = value,
            Place::List(list) => list.clear(),
            Place::Object(members) => members.clear(),
        }
    }
}

impl Tree {
    pub fn text(text: &str) -> Self {
        Tree::Token(Value::from(text).to_string())
    }

    /// The value of the member `name`.
    pub fn name(&self) -> Option<String> {
        let Tree::Object(members) = self else { return None };
        match members.iter().find(|(key, _)| key == "name") {
            Some((_, Tree::Token(token))) => serde_json::from_str(token).ok(),
            _ => None,
        }
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        1 + self.children().map(Tree::size).sum::<usize>()
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Tree> + '_> {
        match self {
            Tree::Token(_) => Box::new(std::iter::empty()),
            Tree::List(elements) => Box::new(elements.iter()),
            Tree::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
        }
    }

    /// The node of that number, counted from the root.
    pub fn at(&self, mut index: usize) -> &Tree {
        if index == 0 {
            return self;
        }
        index -= 1;
        for child in self.children() {
            let size = child.size();
            if index < size {
                return child.at(index);
            }
            index -= size;
        }
        self
    }

    /// The same node, to be changed.
    pub fn place(&mut self, index: usize) -> Place<'_> {
        let node = self.at_mut(index);
        match node {
            Tree::Object(members) => Place::Object(members),
            Tree::List(elements) => Place::List(elements),
            node => Place::Node(node),
        }
    }

    pub fn at_mut(&mut self, mut index: usize) -> &mut Tree {
        if index == 0 {
            return self;
        }
        index -= 1;
        let mut children: Vec<&mut Tree> = match self {
            Tree::Token(_) => Vec::new(),
            Tree::List(elements) => elements.iter_mut().collect(),
            Tree::Object(members) => members.iter_mut().map(|(_, value)| value).collect(),
        };
        let mut chosen = None;
        for (number, child) in children.iter().enumerate() {
            let size = child.size();
            if index < size {
                chosen = Some(number);
                break;
            }
            index -= size;
        }
        children.swap_remove(chosen.expect("an index below the size")).at_mut(index)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = |index: usize| if index > 0 { "," } else { "" };
        match self {
            Tree::Token(token) => f.write_str(token),
            Tree::List(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", comma(index))?;
                }
                f.write_str("]")
            }
            Tree::Object(members) => {
                f.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    write!(f, "{}{}:{value}", comma(index), Value::from(key.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        value.to_string().parse().expect("a value's text is JSON")
    }
}

impl FromStr for Tree {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_start().as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text)?;
                let members = members.into_iter().map(|(key, raw)| Ok((key, raw.get().parse()?)));
                members.collect::<Result<_, _>>().map(Tree::Object)
            }
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(text)?;
                elements.into_iter().map(|raw| raw.get().parse()).collect::<Result<_, _>>().map(Tree::List)
            }
            _ => Ok(Tree::Token(text.trim().to_owned())),
        }
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
