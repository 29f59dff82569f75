/* The data sets that gen knows by name, and weights. No publisher of data below states a SHA-256 (Fashion-MNIST and
 * CIFAR-10 state MD5 sums, which io does not compute), so those files are unverified; their readers check every size all
 * the same. PyTorch's weights have the first digits of theirs in the name. */
#include "io/dataset.h"
#include "io/fetch.h"
#include "io/file.h"

#include <stdio.h>
#include <string.h>

#define MNIST_FILES                                                                                                    \
    {                                                                                                                  \
        { "train-images-idx3-ubyte.gz", NULL }, { "train-labels-idx1-ubyte.gz", NULL },                                \
            { "t10k-images-idx3-ubyte.gz", NULL },                                                                     \
        {                                                                                                              \
            "t10k-labels-idx1-ubyte.gz", NULL                                                                          \
        }                                                                                                              \
    }

// clang-format off
static const gen_dataset_source sources[] = {
    { "mnist", "70,000 handwritten digits, 28 x 28 grey", "CC BY-SA 3.0",
      "LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition",
      { "https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/" }, MNIST_FILES,
      "0|1|2|3|4|5|6|7|8|9", NULL, false },
    { "fashion-mnist", "70,000 articles of clothing, 28 x 28 grey", "MIT",
      "Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747",
      { "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/", "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" },
      MNIST_FILES, "T-shirt|trouser|pullover|dress|coat|sandal|shirt|sneaker|bag|ankle boot", NULL, false },
    { "kmnist", "70,000 cursive Japanese characters, 28 x 28 grey", "CC BY-SA 4.0",
      "Clanuwat et al. 2018, arXiv:1812.01718 (Kuzushiji-MNIST, CODH)",
      { "http://codh.rois.ac.jp/kmnist/dataset/kmnist/" }, MNIST_FILES, "o|ki|su|tsu|na|ha|ma|ya|re|wo", NULL, false },
    { "emnist", "handwritten letters and digits, 28 x 28 grey", "public domain (NIST)",
      "Cohen, Afshar, Tapson, van Schaik 2017, arXiv:1702.05373", { NULL }, { { NULL, NULL } }, NULL,
      "download gzip.zip from https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip and unpack one set, such as emnist-balanced-*.gz, into a folder", false },
    { "cifar10", "60,000 small photographs in 10 classes, 32 x 32 RGB", "none stated; customary research use",
      "Krizhevsky 2009, Learning multiple layers of features from tiny images",
      { "https://www.cs.toronto.edu/~kriz/" }, { { "cifar-10-binary.tar.gz", NULL } },
      "airplane|automobile|bird|cat|deer|dog|frog|horse|ship|truck", NULL, false },
    { "quickdraw", "drawings of one word, 28 x 28 grey: quickdraw:cat", "CC BY 4.0",
      "Ha, Eck 2017, arXiv:1704.03477 (Quick, Draw!, Google)",
      { "https://storage.googleapis.com/quickdraw_dataset/full/numpy_bitmap/" }, { { "*.npy", NULL } }, NULL, NULL, false },
    { "celeba", "202,599 faces", "non-commercial research only",
      "Liu, Luo, Wang, Tang 2015, Deep learning face attributes in the wild", { NULL }, { { NULL, NULL } }, NULL,
      "its publisher asks you to fetch img_align_celeba.zip by hand; unpack it and give the folder", false },
    { "vgg19", "weights of VGG-19 (548 MB), for gen style --features vgg19", "BSD-3 (torchvision); trained on ImageNet",
      "Simonyan, Zisserman 2015, arXiv:1409.1556", { "https://download.pytorch.org/models/" }, { { "vgg19-dcbb9e9d.pth", "dcbb9e9d" } },
      NULL, NULL, true },
    { "vgg16", "weights of VGG-16 (528 MB), for gen style --features vgg16", "BSD-3 (torchvision); trained on ImageNet",
      "Simonyan, Zisserman 2015, arXiv:1409.1556", { "https://download.pytorch.org/models/" }, { { "vgg16-397923af.pth", "397923af" } },
      NULL, NULL, true },
    { "squeezenet", "weights of SqueezeNet 1.1 (5 MB), for gen style --features squeezenet", "BSD-3 (torchvision); trained on ImageNet",
      "Iandola et al. 2016, arXiv:1602.07360", { "https://download.pytorch.org/models/" }, { { "squeezenet1_1-b8a52dc0.pth", "b8a52dc0" } },
      NULL, NULL, true },
};
// clang-format on

const gen_dataset_source *gen_dataset_sources(size_t *n)
{
    *n = sizeof sources / sizeof *sources;
    return sources;
}

const gen_dataset_source *gen_dataset_source_find(const char *name)
{
    size_t length = strcspn(name, ":");
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strlen(sources[i].name) == length && !memcmp(sources[i].name, name, length)) return &sources[i];
    return NULL;
}

/* "*.npy" stands for the word asked for; spaces of a word are %20 in an address. */
static void put_name(char *out, size_t room, const char *pattern, const char *word, int for_url)
{
    if (pattern[0] != '*') {
        snprintf(out, room, "%s", pattern);
        return;
    }
    size_t n = 0;
    for (const char *p = word; *p && n + 8 < room; p++) {
        if (*p == ' ' && for_url) memcpy(out + n, "%20", 3), n += 3;
        else out[n++] = *p;
    }
    snprintf(out + n, room - n, "%s", pattern + 1);
}

static gen_status fetch_one(const gen_dataset_source *source, const gen_dataset_file *file, const char *word,
                            const char *folder, const gen_sink *sink, gen_error *err)
{
    char path[4096], name[300], address[300], urls[GEN_DATASET_MAX_MIRRORS][600];
    const char *url_list[GEN_DATASET_MAX_MIRRORS];
    int32_t n = 0;
    put_name(name, sizeof name, file->name, word, 0);
    put_name(address, sizeof address, file->name, word, 1);
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return gen_fail(err, GEN_BAD_OPTION, "the folder's name '%.100s…' is too long", folder);
    if (gen_path_exists(path)) return GEN_OK;
    for (; n < GEN_DATASET_MAX_MIRRORS && source->mirrors[n]; n++) {
        snprintf(urls[n], sizeof urls[n], "%s%s", source->mirrors[n], address);
        url_list[n] = urls[n];
    }
    return gen_fetch(&(gen_fetch_file){ .urls = url_list, .n_urls = n, .path = path, .sha256 = file->sha256 }, sink,
                     err);
}

gen_status gen_dataset_fetch(const gen_dataset_source *source, const char *word, const char *folder,
                             const gen_sink *sink, gen_error *err)
{
    if (!source->mirrors[0])
        return gen_fail(err, GEN_NOT_FOUND, "'%s' cannot be fetched automatically: %s", source->name, source->by_hand);
    if (source->files[0].name[0] == '*' && (!word || !word[0] || strchr(word, '/') || strlen(word) > 100))
        return gen_fail(err, GEN_BAD_OPTION, "'%s' needs a word, as in %s:cat", source->name, source->name);
    GEN_TRY(gen_folder_make(folder, err));
    for (int i = 0; i < GEN_DATASET_MAX_FILES && source->files[i].name; i++)
        GEN_TRY(fetch_one(source, &source->files[i], word, folder, sink, err));
    return GEN_OK;
}
