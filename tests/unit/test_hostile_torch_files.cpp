// Hostile files in the formats of torch.save. Each tests the one defence that its message names;
// none may run anything, crash, or take more than a bounded memory: this program is built with the
// address sanitizer.
#include <gtest/gtest.h>

#include <functional>

#include "io/torch_file.h"
#include "runtime/error.h"
#include "support/temporary_folder.h"
#include "support/torch_files.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using namespace test;
using namespace test::pickled;

/// The tensor that most files here hold: [1, 2] in storage "0".
const std::string small_tensor = tensor(storage("0", 2), 0, {2}, {1});
const std::string small_data = little_endian(1.0f) + little_endian(2.0f);

struct HostileCase {
  const char *name;
  std::string bytes;
  const char *expected;
};

class HostileTorchFiles : public ::testing::TestWithParam<HostileCase> {};

TEST_P(HostileTorchFiles, AreRefused) {
  const TemporaryFolder folder;
  const fs::path path = folder / "hostile.ckpt";
  write_file(path, GetParam().bytes);
  try {
    const TorchFile file(path);
    ADD_FAILURE() << "no error";
  } catch (const Error &error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::open_read);
    EXPECT_NE(message.find(GetParam().expected), std::string::npos)
        << GetParam().expected << "\nis not in: " << message;
    EXPECT_NE(message.find("hostile.ckpt"), std::string::npos) << message;
    EXPECT_LT(message.size(), 1000U);
  }
}

const auto name_of_case = [](const auto &info) { return std::string(info.param.name); };

/// An archive whose pickle is these bytes.
std::string raw(const std::string &pickle) { return zip({{"a/data.pkl", pickle}}); }
/// An archive whose pickle runs these instructions on an empty stack.
std::string running(const std::string &instructions) { return raw(program(instructions)); }

INSTANTIATE_TEST_SUITE_P(
    Instructions, HostileTorchFiles,
    ::testing::Values(
        HostileCase{"PickleEmpty", raw(""), "in the middle of a record"},
        HostileCase{"NoProtocol", raw("}."), "does not begin with its protocol"},
        HostileCase{"ProtocolOne", raw("\x80\1}."), "protocol 1 is not"},
        HostileCase{"ProtocolSix", raw("\x80\6}."), "protocol 6 is not"},
        HostileCase{"NoEnd", raw(proto + "}"), "in the middle of a record"},
        HostileCase{"TextBeyondTheEnd", running("X\xff\xff\xff\xffy"), "in the middle of a record"},
        HostileCase{"TextOf64BitsBeyondTheEnd", running("\x8d" + std::string(8, '\xff')),
                    "in the middle of a record"},
        HostileCase{"ArrayOf64BitsBeyondTheEnd", running("\x96" + std::string(8, '\x7f')),
                    "in the middle of a record"},
        HostileCase{"IntegerBeyondTheEnd", running("\x8b\xff\xff\xff\x7f"),
                    "in the middle of a record"},
        HostileCase{"NameWithoutEnd", running("cposix"), "within a line"},
        HostileCase{"FrameBeyondTheEnd", running("\x95" + little_endian(uint64_t(100)) + "N"),
                    "announces more than there is"},
        HostileCase{"UnknownInstruction", running("\xff"), "instruction 255 is not taken"},
        HostileCase{"ExtensionCode", running("\x82\1"), "instruction 130 is not taken"},
        HostileCase{"PersistentIdAsText", running("Pstorage\n"), "instruction 80 is not taken"},
        HostileCase{"IntegerAsText", running("I1\n"), "instruction 73 is not taken"},
        HostileCase{"LongAsText", running("L" + repeated("9", 100000) + "L\n"),
                    "instruction 76 is not taken"},
        HostileCase{"Instance", running("(iposix\nsystem\n"), "instruction 105 is not taken"},
        HostileCase{"Object", running("(" + global("posix", "system") + "o"),
                    "instruction 111 is not taken"},
        HostileCase{"BufferFromOutside", running("\x97"), "instruction 151 is not taken"},
        HostileCase{"SecondProtocol", running("\x80\2N"), "instruction 128 is not taken"},
        HostileCase{"PopsNothing", running("0"), "takes more from its stack"},
        HostileCase{"EndsWithNothing", running(""), "takes more from its stack"},
        HostileCase{"AppendsToNothing", running("Na"), "takes more from its stack"},
        HostileCase{"BuildsNothing", running("Nb"), "takes more from its stack"},
        HostileCase{"CallsNothing", running(")R"), "takes more from its stack"},
        HostileCase{"DoublesNothing", running("2"), "takes more from its stack"},
        HostileCase{"RemembersNothing", running("q\1"), "takes more from its stack"},
        HostileCase{"PopsBelowAMark", running("N(0"), "takes more from its stack"},
        HostileCase{"TuplesBelowAMark", running("NN(N\x87"), "takes more from its stack"},
        HostileCase{"TupleWithoutMark", running("Nt"), "a mark that it has not set"},
        HostileCase{"MarkUsedTwice", running("](NeNe"), "a mark that it has not set"},
        HostileCase{"RecallsUnknown", running("h\5"), "recalls what it has not remembered"},
        HostileCase{"RecallsUnknownFar", running("Nq\1j\xff\xff\xff\xff"),
                    "recalls what it has not remembered"},
        HostileCase{"KeyWithoutValue", running("}(Nu"), "a key without a value"},
        HostileCase{"KeyWithoutValueInLiteral", running("(NNNd"), "a key without a value"},
        HostileCase{"AppendsToDict", running("}Na"), "puts items into something"},
        HostileCase{"SetsInList", running("]NNs"), "puts items into something"},
        HostileCase{"SetsInTuple", running("})NNs"), "puts items into something"},
        HostileCase{"AppendsToText", running(text("x") + "Na"), "puts items into something"},
        HostileCase{"NamedByNumbers", running("K\1K\2\x93"), "by what is no text"},
        HostileCase{"NamedByACall", running(text("posix") + global("a", "b") + ")R\x93"),
                    "by what is no text"}),
    name_of_case);

INSTANTIATE_TEST_SUITE_P(
    Bombs, HostileTorchFiles,
    ::testing::Values(
        HostileCase{"Values", running("}" + repeated("N0", 600000)), "more than 524288 values"},
        HostileCase{"ValuesOnTheStack", running(repeated("N", 600000)), "more than 524288 values"},
        HostileCase{"Memos", running("N" + repeated("\x94", 600000)), "remembers more than 524288"},
        HostileCase{"PickleOfMegabytes", raw(std::string((16 << 20) + 1, 'N')), "its pickle has"},
        HostileCase{"StateDictInItself", running("}q\1" + text("state_dict") + "h\1s"),
                    "without end"},
        HostileCase{"StateDictsInCircles",
                    running("}q\1" + text("state_dict") + "}" + text("params") + "h\1ss"),
                    "without end"},
        HostileCase{"LongNames",
                    running(global(repeated("m", 100000), repeated("a", 100000)) + ")R"),
                    "an object made by"},
        HostileCase{"Compressed", zip({{"a/data.pkl", program("}"), /*method=*/8}}),
                    "a compressed zip archive"},
        HostileCase{"DirectoryOfGigabytes",
                    zip({{"a/data.pkl", program("}")}}, {0, 1, 0, 0x7fffffff}),
                    "directory of 2147483647 bytes"}),
    name_of_case);

/// An archive of a tensor "x" made by this call, over storage "0" of two floats.
std::string holding(const std::string &value) {
  return torch_archive(dict({{"x", value}}), {{"0", small_data}});
}
std::string rebuilt(const std::string &arguments) {
  return holding(call(global("torch._utils", "_rebuild_tensor_v2"), arguments));
}
/// The id of a storage, made of these values.
std::string referring(const std::vector<std::string> &id) { return holding(tuple(id) + "Q"); }
const std::string type = global("torch", "FloatStorage");
constexpr int64_t large = int64_t(1) << 62;

INSTANTIATE_TEST_SUITE_P(
    Tensors, HostileTorchFiles,
    ::testing::Values(
        HostileCase{"IdIsNumber", holding(integer(1) + "Q"),
                    "refers to something that is no storage"},
        HostileCase{"IdTooShort", referring({text("storage"), type, text("0"), text("cpu")}),
                    "refers to something that is no storage"},
        HostileCase{"IdOfSomethingElse",
                    referring({text("module"), type, text("0"), text("cpu"), integer(2)}),
                    "refers to something that is no storage"},
        HostileCase{"KeyIsNumber",
                    referring({text("storage"), type, integer(0), text("cpu"), integer(2)}),
                    "refers to something that is no storage"},
        HostileCase{"CountIsText",
                    referring({text("storage"), type, text("0"), text("cpu"), text("2")}),
                    "a storage of no size"},
        HostileCase{"CountNegative", holding(tensor(storage("0", -2), 0, {2}, {1})),
                    "a storage of no size"},
        HostileCase{"CountBeyond64Bits",
                    referring({text("storage"), type, text("0"), text("cpu"),
                               "\x8a\x09" + std::string(9, '\x7f')}),
                    "a storage of no size"},
        HostileCase{"StorageOfAStorage",
                    referring({text("storage"), type, text("0"), text("cpu"), integer(2),
                               tuple({text("0"), integer(0), integer(1)})}),
                    "a part of another"},
        HostileCase{"TwoSizesOfAStorage", holding(tuple({storage("0", 2), storage("0", 1)})),
                    "two things of one storage"},
        HostileCase{"TwoTypesOfAStorage",
                    holding(tuple({storage("0", 2), storage("0", 2, "IntStorage")})),
                    "two things of one storage"},
        HostileCase{"NoSuchStorage", holding(tensor(storage("7", 2), 0, {2}, {1})),
                    "lacks a storage"},
        HostileCase{"KeyLeavesTheArchive",
                    holding(tensor(storage("../../../etc/passwd", 2), 0, {2}, {1})),
                    "lacks a storage"},
        HostileCase{"StorageTooSmall", holding(tensor(storage("0", 3), 0, {2}, {1})),
                    "a storage of 3 elements has 8 bytes"},
        HostileCase{"StorageTooLarge", holding(tensor(storage("0", 1), 0, {1}, {1})),
                    "a storage of 1 elements has 8 bytes"},
        HostileCase{"StorageOverflows", holding(tensor(storage("0", large + 2), 0, {2}, {1})),
                    "a storage of 4611686018427387906 elements"},
        HostileCase{"NoArguments", rebuilt(")"), "by something other than"},
        HostileCase{"ArgumentsAreAList", rebuilt("]"), "a tensor without arguments"},
        HostileCase{"StorageIsText",
                    rebuilt(tuple({text("0"), integer(0), sizes({2}), sizes({1})})),
                    "by something other than"},
        HostileCase{"OffsetIsText",
                    rebuilt(tuple({storage("0", 2), text("0"), sizes({2}), sizes({1})})),
                    "by something other than"},
        HostileCase{"OffsetNegative", holding(tensor(storage("0", 2), -1, {2}, {1})),
                    "by something other than"},
        HostileCase{"SizesAreAList",
                    rebuilt(tuple({storage("0", 2), integer(0), list({integer(2)}), sizes({1})})),
                    "by something other than"},
        HostileCase{"SizeIsAFloat",
                    rebuilt(tuple({storage("0", 2), integer(0), tuple({"G" + std::string(8, '\0')}),
                                   sizes({1})})),
                    "by something other than"},
        HostileCase{"SizeNegative", holding(tensor(storage("0", 2), 0, {-2}, {1})),
                    "by something other than"},
        HostileCase{"StrideNegative", holding(tensor(storage("0", 2), 1, {2}, {-1})),
                    "by something other than"},
        HostileCase{"FewerStridesThanSizes", holding(tensor(storage("0", 2), 0, {2, 1}, {1})),
                    "by something other than"},
        HostileCase{"ManyDimensions",
                    holding(tensor(storage("0", 2), 0, std::vector<int64_t>(9, 1),
                                   std::vector<int64_t>(9, 1))),
                    "by something other than"},
        HostileCase{"ShapeLeavesTheStorage", holding(tensor(storage("0", 2), 0, {3}, {1})),
                    "leaves its storage"},
        HostileCase{"OffsetLeavesTheStorage", holding(tensor(storage("0", 2), 1, {2}, {1})),
                    "leaves its storage"},
        HostileCase{"EmptyBehindTheStorage", holding(tensor(storage("0", 2), 3, {0}, {1})),
                    "leaves its storage"},
        HostileCase{"StridesLeaveTheStorage", holding(tensor(storage("0", 2), 0, {2}, {2})),
                    "leaves its storage"},
        HostileCase{"SizesOverflow", holding(tensor(storage("0", 2), 0, {large, 4}, {0, 0})),
                    "leaves its storage"},
        HostileCase{"StridesOverflow", holding(tensor(storage("0", 2), 0, {5}, {large})),
                    "leaves its storage"},
        HostileCase{"OffsetOverflows",
                    holding(tensor(storage("0", 2), INT64_MAX, {3}, {INT64_MAX})),
                    "leaves its storage"},
        HostileCase{"ParameterOfNothing",
                    holding(call(global("torch._utils", "_rebuild_parameter"), ")")),
                    "a parameter without a tensor"}),
    name_of_case);

const std::string good = torch_archive(dict({{"x", small_tensor}}), {{"0", small_data}});
const size_t good_directory = good.find("PK\1\2");
const ZipItem pickle_item{"a/data.pkl", program("}")};

/// An archive of a pickle and an entry that `change` has damaged.
std::string with_item(const std::function<void(ZipItem &)> &change) {
  ZipItem item{"a/data/0", small_data};
  change(item);
  return zip({pickle_item, item});
}

INSTANTIATE_TEST_SUITE_P(
    Archives, HostileTorchFiles,
    ::testing::Values(
        HostileCase{"BeginOnly", "PK\3\4", "too short to be a zip archive"},
        HostileCase{"Cut", good.substr(0, good.size() - 1),
                    "the end of its zip archive is missing"},
        HostileCase{"CutInHalf", good.substr(0, good.size() / 2),
                    "the end of its zip archive is missing"},
        HostileCase{"SomethingBehind", good + "x", "the end of its zip archive is missing"},
        HostileCase{"SeveralDisks", zip({pickle_item}, {1}), "one of several parts"},
        HostileCase{"DirectoryElsewhere", zip({pickle_item}, {0, 1, 0}), "directory is not where"},
        HostileCase{"DirectoryBeyond", zip({pickle_item}, {0, 1, 0xfffffff0}),
                    "directory is not where"},
        HostileCase{"SomethingInFront", "PK\3\4" + good, "directory is not where"},
        HostileCase{"MoreEntriesClaimed", zip({pickle_item}, {0, 9}), "1 entries that claims 9"},
        HostileCase{"Zip64Elsewhere", with_zip64(good, 4, good_directory, 1, "PK\6\6", 5),
                    "end is not where it says"},
        HostileCase{"Zip64Wraps", with_zip64(good, 4, good_directory, 1, "PK\6\6", ~uint64_t(0)),
                    "end is not where it says"},
        HostileCase{"Zip64WithoutSignature", with_zip64(good, 4, good_directory, 1, "PK\6\5"),
                    "end has no signature"},
        HostileCase{"Zip64DirectoryWraps", with_zip64(good, 4, ~uint64_t(0) - 3, 8),
                    "directory is not where"},
        HostileCase{
            "Zip64EntriesClaimed",
            with_zip64(good, uint64_t(1) << 60, good_directory, good.size() - 22 - good_directory),
            "4 entries that claims"},
        HostileCase{"ExtraFieldTooShort", with_item([](ZipItem &item) {
                      item.bytes = item.stored_bytes = 0xffffffff;
                      item.extra = std::string("\1\0\4\0????", 8);
                    }),
                    "in the middle of a record"},
        HostileCase{"ExtraFieldTooLong", with_item([](ZipItem &item) {
                      item.bytes = item.stored_bytes = 0xffffffff;
                      item.extra = std::string("\1\0\xff\0????", 8);
                    }),
                    "in the middle of a record"},
        HostileCase{"DirectoryOfSomethingElse",
                    with_item([](ZipItem &item) { item.signature = "PK\1\3"; }),
                    "directory holds something else"},
        HostileCase{"Encrypted", with_item([](ZipItem &item) { item.flags = 1; }), "encrypted"},
        HostileCase{"CompressedEntry", with_item([](ZipItem &item) { item.method = 8; }),
                    "compressed zip archive"},
        HostileCase{"TwoSizes", with_item([](ZipItem &item) { item.bytes = 1 << 30; }),
                    "entry has two sizes"},
        HostileCase{"HeaderBeyond", with_item([](ZipItem &item) { item.header = 0x7fffffff; }),
                    "begins beyond its end"},
        HostileCase{"HeaderAtTheEnd", with_item([](ZipItem &item) { item.header = 125; }),
                    "begins beyond its end"},
        HostileCase{"HeaderIsNone", with_item([](ZipItem &item) { item.local_signature = "PK00"; }),
                    "entry has no header"},
        HostileCase{"OtherCompressionInHeader",
                    with_item([](ZipItem &item) { item.local_method = 8; }),
                    "differ in compression"},
        HostileCase{"OtherNameInHeader",
                    with_item([](ZipItem &item) { item.local_name = "a/data/1"; }),
                    "differ in their name"},
        HostileCase{"LongerNameInHeader",
                    with_item([](ZipItem &item) { item.local_name = "a/data/000"; }),
                    "differ in their name"},
        HostileCase{"DataBeyond",
                    with_item([](ZipItem &item) { item.bytes = item.stored_bytes = 1 << 30; }),
                    "an entry of its zip archive ends beyond"},
        HostileCase{"ExtraFieldPushesDataBeyond",
                    with_item([](ZipItem &item) { item.local_extra_bytes = 60000; }),
                    "an entry of its zip archive ends beyond"},
        HostileCase{"EntriesShareBytes", with_item([](ZipItem &item) {
                      item.name = "a/data.pkl";
                      item.header = 0;
                      item.bytes = item.stored_bytes = 4;
                    }),
                    "overlapping entries"},
        HostileCase{"EntriesShareAName", zip({pickle_item, pickle_item}), "names an entry twice"},
        HostileCase{"TwoPickles", zip({pickle_item, {"b/data.pkl", program("}")}}),
                    "holds two pickles"},
        HostileCase{"NoPickle", zip({{"a/x.pkl", program("}")}}), "without a data.pkl"},
        HostileCase{"PickleTooDeep", zip({{"a/b/data.pkl", program("}")}}), "without a data.pkl"},
        HostileCase{"OtherByteOrder", zip({pickle_item, {"a/byteorder", "big"}}),
                    "another byte order"}),
    name_of_case);

const std::string old_value = dict({{"x", small_tensor}});
const OldStorage old_storage{"0", 2, small_data};

INSTANTIATE_TEST_SUITE_P(
    OldFormat, HostileTorchFiles,
    ::testing::Values(
        HostileCase{"NotTorchs", program("}") + std::string(40, '\0'), "not one of torch.save's"},
        HostileCase{"CutInTheMagic", "\x80\2\x8a\x0a", "in the middle of a record"},
        HostileCase{"MagicOnly", old_magic, "in the middle of a record"},
        HostileCase{"OtherVersion", old_torch_file(old_value, {old_storage}, old_head(1002)),
                    "an unknown version"},
        HostileCase{"BigEndian", old_torch_file(old_value, {old_storage}, old_head(1001, false)),
                    "another byte order"},
        HostileCase{"KeysAreNoList", old_head() + program(old_value) + program("}"),
                    "does not list its storages"},
        HostileCase{"KeyTwice", old_torch_file(old_value, {old_storage, old_storage}),
                    "lists a storage twice"},
        HostileCase{"KeyUnknown", old_torch_file(old_value, {old_storage, {"1", 2, small_data}}),
                    "or one that nothing refers to"},
        HostileCase{"KeyMissing", old_torch_file(old_value), "does not list all"},
        HostileCase{"CountDiffers", old_torch_file(old_value, {{"0", 1, small_data}}),
                    "a storage of 2 elements has 1"},
        HostileCase{"UnknownType",
                    old_torch_file(dict({{"x", storage("0", 2, "FancyStorage")}}), {old_storage}),
                    "unknown type \"torch.FancyStorage\""},
        HostileCase{"StorageCut", old_torch_file(old_value, {{"0", 2, "1234"}}),
                    "a storage ends beyond it"},
        HostileCase{"CountCut", old_head() + program(old_value) + program(list({text("0")})) + "12",
                    "in the middle of a record"},
        HostileCase{"StorageOfExabytes",
                    old_torch_file(dict({{"x", tensor(storage("0", large), 0, {1}, {1})}}),
                                   {{"0", uint64_t(large), small_data}}),
                    "a storage ends beyond it"},
        HostileCase{"SomethingBehindTheData", old_torch_file(old_value, {old_storage}) + "secret",
                    "6 bytes belong to no"}),
    [](const auto &info) { return "Old" + std::string(info.param.name); });

TEST(DamagedTorchFiles, RandomDamageNeverCrashes) {
  const TemporaryFolder folder;
  const fs::path path = folder / "fuzz.ckpt";
  uint32_t state = 7;
  const auto next = [&] { return state = state * 1664525 + 1013904223, state >> 8; };
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string bytes = round % 2 ? good : old_torch_file(old_value, {old_storage});
    for (uint32_t i = 0, count = 1 + next() % 3; i < count; ++i)
      bytes[next() % bytes.size()] = char(next());
    if (next() % 8 == 0) bytes.resize(next() % bytes.size());
    write_file(path, bytes);
    try {
      const TorchFile file(path);
      for (const auto &[name, entry] : file.tensors()) {
        std::vector<char> data(entry.bytes);
        file.read(entry, 0, data.data(), data.size());
      }
    } catch (const Error &) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace livepeer
